import unittest

from summarise import summarise


class Summarise(unittest.TestCase):
    def test_figures(self):
        summary = summarise([1, 2, 3, 10], quantiles=2)
        self.assertEqual(summary["count"], 4)
        self.assertEqual(summary["mean"], 4.0)
        self.assertEqual(summary["median"], 2.5)
        self.assertEqual(summary["cut_points"], [2.5])

    def test_one_value_has_no_deviation(self):
        self.assertIsNone(summarise([5])["stdev"])

    def test_what_cannot_be_summarised_is_told(self):
        with self.assertRaisesRegex(ValueError, "nothing to summarise"):
            summarise([])
        with self.assertRaisesRegex(ValueError, "two values or more"):
            summarise([1], quantiles=4)


if __name__ == "__main__":
    unittest.main()
