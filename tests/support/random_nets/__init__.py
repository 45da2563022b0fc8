"""Random nets over every operator of the rule table, and whether their gradients are right."""
