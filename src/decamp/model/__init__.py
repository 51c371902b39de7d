"""The words of Decamp as frozen data: refs, amounts, surveys, plans, ledgers. Nothing here does input or output."""
