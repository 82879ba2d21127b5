"""The studio: everything that a person does with the factory, as pages in the browser."""
