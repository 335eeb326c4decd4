"""How jazz bass players walk: tables for harmonize's style `walking bass`."""
