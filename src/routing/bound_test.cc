#include "routing/bound.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace entrepot::routing {
namespace {

RequestShape shape_of(std::int64_t bytes, std::optional<std::int64_t> cap) {
    RequestShape shape;
    shape.prompt_bytes = bytes;
    shape.messages = 1;
    shape.output_cap = cap;
    return shape;
}

std::string error_of(const Result<Bound>& bound) {
    return bound ? "bounded"
                 : fmt::format("{} {}", error_code_name(bound.error().code), bound.error().field);
}

TEST(Bound, APromptHasNoMoreTokensThanBytesAndOverhead) {
    const auto bound = bound_of(shape_of(10'000, 100), {128'000, 4096}, {}, OnUnbounded::kRefuse);
    ASSERT_TRUE(bound);
    EXPECT_EQ(bound->bounds.prompt_tokens_max, 10'000 + 1 + 64 + 16);
    EXPECT_EQ(bound->bounds.output_tokens_max, 100);
    EXPECT_EQ(bound->inject_output_cap, 0);
}

TEST(Bound, EveryChoiceMayAnswerInFull) {
    RequestShape shape = shape_of(10, 100);
    shape.choices = 3;
    EXPECT_EQ(bound_of(shape, {}, {}, OnUnbounded::kRefuse)->bounds.output_tokens_max, 300);
    shape.choices = 0;
    EXPECT_EQ(error_of(bound_of(shape, {}, {}, OnUnbounded::kRefuse)), "invalid_field n");
    shape.choices = INT64_MAX;
    EXPECT_EQ(
        bound_of(shape, {}, {}, OnUnbounded::kRefuse)->bounds.output_tokens_max, 1'000'000'000'000);
}

TEST(Bound, TheWindowIsTheMostAPromptCanBe) {
    const auto bound = bound_of(shape_of(9'000'000, 100), {128'000, 0}, {}, OnUnbounded::kRefuse);
    EXPECT_EQ(bound->bounds.prompt_tokens_max, 128'000);
    EXPECT_FALSE(bound->is_clamped);
}

TEST(Bound, WithoutACapTheOffersOwnIsSentAndHeld) {
    const auto bound = bound_of(shape_of(10, {}), {0, 4096}, {}, OnUnbounded::kRefuse);
    EXPECT_EQ(bound->bounds.output_tokens_max, 4096);
    EXPECT_EQ(bound->inject_output_cap, 4096);
    EXPECT_EQ(error_of(bound_of(shape_of(10, {}), {128'000, 0}, {}, OnUnbounded::kRefuse)),
        "unbounded max_tokens");
    const auto clamped = bound_of(shape_of(10, {}), {128'000, 0}, {}, OnUnbounded::kClamp);
    EXPECT_EQ(clamped->bounds.output_tokens_max, 128'000);
    EXPECT_TRUE(clamped->is_clamped);
    EXPECT_EQ(
        error_of(bound_of(shape_of(10, {}), {}, {}, OnUnbounded::kClamp)), "unbounded max_tokens");
    EXPECT_EQ(error_of(bound_of(shape_of(10, -1), {}, {}, OnUnbounded::kClamp)),
        "invalid_field max_tokens");
}

TEST(Bound, WhatNobodyCanSizeIsRefusedOrClampedToTheWindow) {
    for (bool RequestShape::* what : {&RequestShape::has_file_id, &RequestShape::has_unknown_part,
             &RequestShape::has_document_url, &RequestShape::has_stored_state}) {
        RequestShape shape = shape_of(10, 100);
        shape.*what = true;
        EXPECT_EQ(error_of(bound_of(shape, {128'000, 0}, {}, OnUnbounded::kRefuse)),
            "unbounded messages");
        EXPECT_EQ(error_of(bound_of(shape, {}, {}, OnUnbounded::kClamp)), "unbounded messages");
        const auto clamped = bound_of(shape, {128'000, 0}, {}, OnUnbounded::kClamp);
        EXPECT_EQ(clamped->bounds.prompt_tokens_max, 128'000);
        EXPECT_TRUE(clamped->is_clamped);
    }
    RequestShape continued = shape_of(10, 100);
    continued.has_stored_state = continued.has_unknown_part = true;
    const auto refused = bound_of(continued, {128'000, 0}, {}, OnUnbounded::kRefuse);
    EXPECT_NE(
        refused.error().message.find("continues what the supplier has stored"), std::string::npos);
    RequestShape document = shape_of(10, 100);
    document.has_documents = true;
    EXPECT_EQ(bound_of(document, {200'000, 0}, {}, OnUnbounded::kRefuse)->bounds.prompt_tokens_max,
        200'000);
    EXPECT_EQ(error_of(bound_of(document, {}, {}, OnUnbounded::kRefuse)), "unbounded messages");
}

// GPT-4o mini counts 2,833 tokens an image and 5,667 a tile, so a "small" model needs the largest
// allowance.
TEST(Bound, AnImageIsHeldAtTheMostItsModelCounts) {
    RequestShape shape = shape_of(0, 0);
    shape.images = 2;
    const auto prompt = [&](catalog::CloudKind kind, std::string_view id) {
        return bound_of(shape, {}, expansion_of(kind, id), OnUnbounded::kRefuse)
            ->bounds.prompt_tokens_max;
    };
    EXPECT_GE(prompt(catalog::CloudKind::kOpenai, "gpt-4o-mini"), 2 * (2833 + 8 * 5667));
    EXPECT_GE(prompt(catalog::CloudKind::kAnthropic, "claude-opus-4-8"), 2 * 4784);
    EXPECT_LT(prompt(catalog::CloudKind::kAnthropic, "claude-opus-4-8"), 11'000);
}

TEST(Bound, ImagesAreHeldAtTheMostTheirModelWrites) {
    RequestShape shape = shape_of(100, std::nullopt);
    shape.is_piecework = true;
    shape.images_made = 2;
    shape.partial_images = 3;
    const Expansion known = expansion_of(catalog::CloudKind::kOpenai, "gpt-image-1-mini");
    const auto bound = bound_of(shape, {}, known, OnUnbounded::kRefuse);
    ASSERT_TRUE(bound);
    EXPECT_EQ(bound->bounds.output_tokens_max, 2 * 6240 + 2 * 3 * 100);
    EXPECT_EQ(bound->bounds.images_max, 2);
    EXPECT_TRUE(bound->bounds.is_piecework);
    // A model whose images nobody has measured: the offer says, or nothing does.
    const auto stated = bound_of(shape, {0, 5000}, {}, OnUnbounded::kRefuse);
    EXPECT_EQ(stated->bounds.output_tokens_max, 2 * 5000 + 600);
    EXPECT_EQ(stated->inject_output_cap, 0);
    EXPECT_TRUE(bound_of(shape, {}, {}, OnUnbounded::kRefuse)->bounds.is_output_unbounded);
}

TEST(Bound, PiecesAreCountedAndSoundLastsAsLongAsItMay) {
    RequestShape shape = shape_of(10, 0);
    shape.is_piecework = true;
    shape.characters = 9;
    shape.searches_max = 2;
    shape.audio_seconds_max = 60;
    const auto bound = bound_of(shape, {}, {}, OnUnbounded::kRefuse);
    ASSERT_TRUE(bound);
    EXPECT_EQ(bound->bounds.characters_max, 9);
    EXPECT_EQ(bound->bounds.searches_max, 2);
    EXPECT_EQ(bound->bounds.audio_seconds_max, 60);
    EXPECT_EQ(bound->bounds.prompt_tokens_max, 10 + 1 + 64 + 16 + 60 * 40);
    EXPECT_EQ(bound->bounds.output_tokens_max, 0);
}

}  // namespace
}  // namespace entrepot::routing
