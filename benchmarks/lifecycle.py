"""What the mixins cost a request that needs nothing of them: ``make bench``.

The yardstick is stock Tornado in the same run; "stock again" shows how far two equal ones differ.
"""

from benchmarks.in_process import measure

TARGETS = {  # of stock
    "mixins, nothing to do": 1.20,
    "five def middlewares": 1.35,
    "five async def middlewares": 1.70,
    "a reply that awaits once": 1.60,
}


def main() -> None:
    """Print a line for each case: CPU per request, its ratio to stock, and the target."""
    costs = measure()
    for case, cost in costs.items():
        ratio = cost / costs["stock"]
        target = f"target {TARGETS[case]:.2f}" if case in TARGETS else ""
        print(f"{case:28} {cost:7.1f} us {ratio:6.2f} of stock   {target}".rstrip())


if __name__ == "__main__":
    main()
