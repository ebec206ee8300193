"""What the benches share: programs and processes, the machine, Apps by the thousand, tables.

In: a bench's arguments. Out: what it measures with. Never: a measurement of its own.
"""
