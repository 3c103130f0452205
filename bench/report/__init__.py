"""The parts of the result page: pictures, figures, chart, table, card, and how they are put together."""
