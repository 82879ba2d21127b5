r"""The history of the registry's schema.

After a change of `schema.py`, write the next revision with

    cd factory_pipeline/datalake/registry/migrations
    alembic -x url=sqlite:///scratch.db upgrade head
    alembic -x url=sqlite:///scratch.db \
        revision --autogenerate -m "what changes"

and read it before it is committed.
"""
