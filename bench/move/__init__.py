"""How fast a tenant is moved, with how many calls and bytes, and what is lost: beside a bound and a peer. `python -m bench.move`."""
