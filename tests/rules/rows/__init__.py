"""Rows of the rule table, one file per family of operators, as in `portgrad.autodiff.rules`."""
