#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "json/value.h"
#include "telemetry/access_log.h"
#include "telemetry/metrics.h"

namespace entrepot::telemetry {
namespace {

using namespace std::chrono_literals;

const Family kRequests{
    "entrepot_requests_total", "Requests.", MetricKind::kCounter, {"offer", "status"}};
const Family kOpen{"entrepot_open", "Open.", MetricKind::kGauge, {}};
const Family kTook{"entrepot_took_seconds", "Time.", MetricKind::kHistogram, {}};

using Labels = std::array<std::string_view, 2>;

TEST(Metrics, OfAllCoresAreSummed) {
    CoreMetrics a, b;
    a.counter(kRequests, Labels{"m/a", "200"}).add(2);
    b.counter(kRequests, Labels{"m/a", "200"}).add(3);
    b.counter(kRequests, Labels{"m/b", "500"}).add();
    a.gauge(kOpen).add(5);
    b.gauge(kOpen).add(-1);
    const CoreMetrics* cores[] = {&a, &b};
    EXPECT_EQ(render(cores),
        "# HELP entrepot_open Open.\n# TYPE entrepot_open gauge\nentrepot_open 4\n"
        "# HELP entrepot_requests_total Requests.\n# TYPE entrepot_requests_total counter\n"
        "entrepot_requests_total{offer=\"m/a\",status=\"200\"} 5\n"
        "entrepot_requests_total{offer=\"m/b\",status=\"500\"} 1\n");
}

TEST(Metrics, HistogramsAreCumulativeAndInSeconds) {
    CoreMetrics core;
    Histogram& took = core.histogram(kTook);
    took.observe(1ms);
    took.observe(1ms + 1ns);
    took.observe(3s);
    took.observe(1h);
    const CoreMetrics* cores[] = {&core};
    const std::string text = render(cores);
    for (const char* line : {"_bucket{le=\"0.001\"} 1\n", "_bucket{le=\"0.002\"} 2\n",
             "_bucket{le=\"2.5\"} 2\n", "_bucket{le=\"5\"} 3\n", "_bucket{le=\"600\"} 3\n",
             "_bucket{le=\"+Inf\"} 4\n", "_sum 3603.002\n", "_count 4\n"})
        EXPECT_NE(text.find(std::string("entrepot_took_seconds") + line), std::string::npos)
            << line << text;
}

// A label value is somebody else's text.
TEST(Metrics, LabelValuesCannotEndTheirLine) {
    CoreMetrics core;
    core.counter(kRequests, Labels{"a\"b\\c\nd", "1"}).add();
    const CoreMetrics* cores[] = {&core};
    EXPECT_NE(render(cores).find("offer=\"a\\\"b\\\\c\\nd\""), std::string::npos);
}

TEST(Metrics, MayBeScrapedWhileTheyMove) {
    CoreMetrics core;
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (int i = 0; !stop; ++i)
            core.counter(kRequests, Labels{std::to_string(i % 50), "200"}).add();
    });
    const CoreMetrics* cores[] = {&core};
    for (int i = 0; i < 200; ++i) (void)render(cores);
    stop = true;
    writer.join();
}

std::string read_all(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

long count_lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

AccessRecord record_of(std::string_view model) {
    AccessRecord record;
    record.at = Instant{1'800'000'000'000'000'000};
    record.model = model;
    record.status = 200;
    record.attempts = 1;
    record.usage[canon::Meter::kInput] = 7;
    record.cost = "0.000123";
    record.currency = "USD";
    return record;
}

TEST(AccessRecord, IsOneLineOfJsonWithoutWhatIsAbsent) {
    std::string line;
    append_json(line, record_of("m\n\"x"));
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
    const auto document = json::Document::parse(line);
    ASSERT_TRUE(document);
    const json::Value& root = document->root();
    EXPECT_EQ(root["model"].string(), "m\n\"x");
    EXPECT_EQ(root["usage"]["input"].as_int(), 7);
    EXPECT_EQ(root["cost"].string(), "0.000123");
    EXPECT_EQ(root.find("error"), nullptr);
    EXPECT_EQ(root.find("ttft_ms"), nullptr);
}

TEST(AccessLog, WritesTheLinesOfEveryCoreAndFollowsARotation) {
    const std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("entrepot-access-" + std::to_string(::getpid()));
    {
        auto log = AccessLog::open(path.string(), 2);
        ASSERT_TRUE(log);
        (*log)->write(0, record_of("a"));
        (*log)->write(1, record_of("b"));
        (*log)->flush();
        EXPECT_EQ(count_lines(read_all(path)), 2);
        std::filesystem::rename(path, path.string() + ".1");
        ASSERT_TRUE((*log)->reopen());
        (*log)->write(0, record_of("c"));
    }
    EXPECT_EQ(count_lines(read_all(path)), 1);
    std::filesystem::remove(path);
    std::filesystem::remove(path.string() + ".1");
}

TEST(AccessLog, DropsAndCountsWhatDoesNotFit) {
    const std::filesystem::path path = std::filesystem::temp_directory_path() /
        ("entrepot-access-full-" + std::to_string(::getpid()));
    auto log = AccessLog::open(path.string(), 1, 10);
    ASSERT_TRUE(log);
    (*log)->write(0, record_of("a"));
    EXPECT_EQ((*log)->dropped(), 1U);
    log->reset();
    EXPECT_EQ(read_all(path), "");
    std::filesystem::remove(path);
    EXPECT_FALSE(AccessLog::open("/nonexistent/folder/x", 1));
}

}  // namespace
}  // namespace entrepot::telemetry
