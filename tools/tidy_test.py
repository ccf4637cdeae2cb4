"""Each rule of tools/tidy sees what it is for, and nothing else."""
import importlib.machinery
import importlib.util
import pathlib
import unittest

PATH = pathlib.Path(__file__).with_name("tidy")
LOADER = importlib.machinery.SourceFileLoader("tidy", str(PATH))
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", LOADER))
LOADER.exec_module(tidy)


def messages(path, text):
    return [message for _, message in tidy.findings_of(path, text)]


class Layers(unittest.TestCase):
    def test_a_folder_includes_only_what_stands_above_it(self):
        self.assertEqual([], messages("src/ledger/a.cc", '#include "base/money.h"\n'))
        self.assertIn("stands above", messages("src/ledger/a.cc", '#include "net/tcp.h"\n')[0])

    def test_siblings_never_meet_but_share_their_parent(self):
        bad = messages("src/dialect/openai_chat/a.cc", '#include "dialect/anthropic/b.h"\n')
        self.assertIn("siblings", bad[0])
        self.assertEqual([], messages("src/dialect/openai_chat/a.cc", '#include "dialect/d.h"\n'))
        self.assertEqual([], messages("src/dialect/registry.cc", '#include "dialect/x/y.h"\n'))

    def test_gateway_and_control_never_meet(self):
        self.assertIn("never meet", messages("src/control/a.cc", '#include "gateway/g.h"\n')[0])
        self.assertIn("never meet", messages("src/gateway/a.cc", '#include "control/c.h"\n')[0])


class Bans(unittest.TestCase):
    def test_double_is_banned_near_money_only_in_code(self):
        self.assertIn("Money", messages("src/ledger/a.cc", "double x = 0;\n")[0])
        self.assertIn("Money", messages("src/base/money.cc", "float x = 0;\n")[0])
        self.assertEqual([], messages("src/routing/a.cc", "double x = 0;\n"))
        self.assertEqual([], messages("src/ledger/a.cc", "// double entry\n"))
        self.assertEqual([], messages("src/ledger/a.cc", 'auto s = "double";\n'))
        self.assertEqual([], messages("src/ledger/a.cc", "double x; // tidy: a share, no money\n"))

    def test_the_rest_of_the_list(self):
        for text, word in (("co_spawn(io, f(), asio::detached);\n", "Scope"),
                           ("int x = std::stoi(s);\n", "from_chars"),
                           ("using namespace std;\n", "alias")):
            self.assertTrue(any(word in m for m in messages("src/net/a.cc", text)), text)
        self.assertEqual([], messages("src/net/a.cc", "using namespace std::chrono_literals;\n"))

    def test_pure_layers_read_no_clock_and_never_log(self):
        self.assertIn("time", messages("src/routing/a.cc", "auto t = wall_now();\n")[0])
        self.assertIn("logs", messages("src/routing/a.cc", 'spdlog::info("x");\n')[0])
        self.assertEqual([], messages("src/gateway/a.cc", "auto t = wall_now();\n"))

    def test_unfinished_work_needs_a_date_and_a_reason(self):
        self.assertIn("date", messages("src/net/a.cc", "// TO" "DO: later\n")[0])
        self.assertEqual([], messages("src/net/a.cc", "// TO" "DO(2026-11-23): needs kernel 6\n"))

    def test_tests_wait_for_conditions(self):
        self.assertIn("50 ms", messages("src/net/a_test.cc", "sleep_for(seconds(1));\n")[0])
        self.assertIn("50 ms", messages("src/net/a_test.cc", "sleep_for(milliseconds(51));\n")[0])
        self.assertEqual([], messages("src/net/a_test.cc", "sleep_for(milliseconds(50));\n"))
        self.assertEqual([], messages("src/net/a_test.cc", "usleep(30'000);\n"))
        self.assertIn("50 ms", messages("src/net/a_test.cc", "usleep(90'000);\n")[0])


class Awaits(unittest.TestCase):
    def bad(self, text):
        return any("g++ 12.2" in m for m in messages("src/net/a.cc", text))

    def test_capturing_lambdas_and_braced_values_are_named_first(self):
        self.assertTrue(self.bad("co_await run([&] { return 1; });\n"))
        self.assertTrue(self.bad("co_await run([x](int y) { return y; });\n"))
        self.assertTrue(self.bad("co_await send(Request{.path = p});\n"))
        self.assertTrue(self.bad("ENTREPOT_CO_TRY(auto x, co_await send(io, {a, b}));\n"))

    def test_a_conditional_expression_never_awaits(self):
        self.assertTrue(self.bad("x = over ? co_await finish(out) : co_await write(out);\n"))
        self.assertTrue(self.bad("x = over ? y : co_await write(out);\n"))
        self.assertFalse(self.bad("y = a ? b : c;\nx = co_await write(out);\n"))

    def test_what_is_sound_passes(self):
        self.assertFalse(self.bad("if (co_await ready(x)) { go(); }\n"))
        self.assertFalse(self.bad("for (auto x : co_await all()) { go(); }\n"))
        self.assertFalse(self.bad("co_await wait(table[i](j), milliseconds{5});\n"))
        self.assertFalse(self.bad("co_await run([] { return 1; }, std::move(named));\n"
                                  .replace("[] { return 1; }", "kNothing")))
        self.assertFalse(self.bad("co_await f(options);\nThing t{1};\n"))


class Loops(unittest.TestCase):
    def bad(self, text):
        return any("first turn" in m for m in messages("src/net/a.cc", text))

    def test_a_document_that_a_loop_reads_has_a_name(self):
        for over in ("json::Document::parse(x)->root().members()",
                     "json::Document::parse(f(x)).value().root().items()",
                     '(*parsed("a:b")).root()["a"].items()', "body().root().items()"):
            self.assertTrue(self.bad(f"for (const Value& v : {over}) use(v);\n"), over)
        self.assertTrue(self.bad("for (int i = 0; const auto& m :\n"
                                 "    parse(x)->root().members())\n    use(m);\n"))

    def test_what_lives_as_long_as_the_loop_passes(self):
        for header in ("const auto& m : document->root().members()",
                       "const auto& m : (*document).root().members()",
                       "const auto& m : (a ? b : c).root().members()",
                       "const char c : std::string(parse(x)->root().string())",
                       "std::size_t i = 0; i < parse(x)->root().items().size(); ++i",
                       "int i = 0; i < (a ? b : c); ++i", "const json::Member& m : all(x)"):
            self.assertFalse(self.bad(f"for ({header}) use();\n"), header)
        self.assertFalse(self.bad("const auto name = parse(x)->root()[\"a\"].string();\n"))


class Sizes(unittest.TestCase):
    def test_columns_and_lines_have_a_limit(self):
        self.assertEqual([], messages("src/net/a.cc", "x" * 100 + "\n"))
        self.assertIn("101 columns", messages("src/net/a.cc", "x" * 101 + "\n")[0])
        self.assertEqual([], messages("src/net/a.cc", "x\n" * 800))
        raw = 'auto s = R"(' + "x" * 100 + ')";\n'
        self.assertEqual([], messages("src/net/a_test.cc", raw))
        self.assertIn("columns", messages("src/net/a.cc", raw)[0])
        self.assertIn("801 lines", messages("src/net/a.cc", "x\n" * 801)[0])

    def test_literals_hide_nothing_behind_them(self):
        text = 'auto s = R"(a " quote)"; double d;\nauto n = 1\'000; double e;\n'
        self.assertEqual(2, len(messages("src/ledger/a.cc", text)))


if __name__ == "__main__":
    unittest.main()
