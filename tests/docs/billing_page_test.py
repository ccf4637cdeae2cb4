"""docs/reference/billing.md has every ending that the code knows, and names tests that exist."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/billing.md"
TESTS = ("src", "tests", "apps")


def rows():
    """The cells of every table row but heads and rules."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = []
    for i, line in enumerate(lines):
        is_head = i + 1 < len(lines) and lines[i + 1].startswith("|---")
        if line.startswith("|") and not line.startswith("|---") and not is_head:
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def tests_of_code():
    """Suite.Name of every test in C++, without the prefixes and suffixes of parameters."""
    found = set()
    for folder in TESTS:
        for path in (ROOT / folder).rglob("*.cc"):
            text = path.read_text(encoding="utf-8")
            for suite, name in re.findall(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", text):
                found.add(f"{suite}.{name}")
    return found


def scenarios():
    return {path.stem for path in (ROOT / "tests/scenario").glob("*.txt")}


def names_of(source, pattern, table):
    """Words for the constants that `pattern` finds in a file, by the switch or list in another."""
    return [table[name] for name in re.findall(pattern, (ROOT / source).read_text())]


class BillingPage(unittest.TestCase):
    def setUp(self):
        self.rows = rows()
        self.words = {word for row in self.rows for cell in row
                      for word in re.findall(r"`(\w+)`", cell)}

    def test_every_row_names_a_test_that_exists(self):
        known = tests_of_code()
        self.assertGreater(len(self.rows), 50)
        for row in self.rows:
            named = re.match(r"`([\w.:]+)`", row[-1])
            self.assertIsNotNone(named, row[0])
            kind, _, rest = named.group(1).partition(":")
            if kind == "scenario":
                self.assertTrue(rest in scenarios(), f"{row[0]}: no scenario '{rest}'")
            else:
                self.assertTrue(named.group(1) in known, f"{row[0]}: no test '{named.group(1)}'")

    def test_every_code_that_a_client_can_be_told_has_a_row(self):
        names = dict(re.findall(r'case ErrorCode::(\w+):\s*return "(\w+)"',
                                (ROOT / "src/base/result.cc").read_text()))
        codes = names_of("src/gateway/failure.cc", r"Row\{ErrorCode::(\w+),", names)
        codes.remove("conflict")  # of the admin API: no exchange
        self.assertGreater(len(codes), 25)
        self.assertEqual([], [code for code in codes if code not in self.words])

    def test_every_mark_of_a_settlement_and_everybody_who_ends_it_has_a_row(self):
        types = (ROOT / "src/ledger/types.h").read_text()
        marks = re.search(r"namespace settle_flag \{(.*?)\n\}", types, re.S).group(1)
        flags = re.findall(r"constexpr std::uint8_t k(\w+)", marks)
        self.assertEqual(5, len(flags))
        enders = re.search(r"enum class EndedBy[^{]*\{([^}]*)\}", types).group(1)
        enders = [word for word in re.findall(r"k(\w+)", enders) if word != "None"]
        wanted = [re.sub(r"(?<!^)(?=[A-Z])", "_", word).lower() for word in flags + enders]
        text = PAGE.read_text(encoding="utf-8")
        self.assertEqual([], [word for word in wanted if f"`{word}`" not in text])


if __name__ == "__main__":
    unittest.main()
