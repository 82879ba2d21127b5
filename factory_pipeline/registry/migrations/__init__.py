"""The history of the schema.

After a change of `schema.py`, write the next revision with

    alembic -c factory_pipeline/registry/migrations/alembic.ini -x url=sqlite:///scratch.db upgrade head
    alembic -c factory_pipeline/registry/migrations/alembic.ini -x url=sqlite:///scratch.db \\
        revision --autogenerate -m "what changes"

and read it before it is committed.
"""
