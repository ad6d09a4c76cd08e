"""`pylx coverage --static`: the system calls in ELF files, found by disassembly, without running them."""
