"""`python -m api`: the HTTP API as a process of its own."""

from importlib import import_module

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()
    import_module("workplatform.lean")
    import_module("api.server").main()
