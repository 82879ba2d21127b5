"""Labels of a recipe, read from wherever they are: one module per kind."""
