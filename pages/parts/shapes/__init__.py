"""The parts of the page on shapes and parameters: the stack in the address, its table, what follows."""
