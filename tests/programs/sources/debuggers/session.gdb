set pagination off
set confirm off
set width 0
set debug-file-directory /nonexistent
set startup-with-shell off
set print thread-events off
break factorial if n == 3
run
bt
info locals
print n
print n * factorial(2)
up
print p
print p.x + i
ptype p
next
stepi
x/2i $pc
info registers rip
tbreak factorial
continue
step
finish
up
set var p.x = 30
delete
break work
continue
bt 1
print *(int *)arg
print $_siginfo.si_signo
next
next
info threads
delete
handle SIGUSR1 stop print pass
continue
break handler
continue
bt 2
catch exec
catch fork
continue
info breakpoints
delete
catch syscall write
continue
info registers rax
continue
delete
continue
run crash
bt
print p
print $_siginfo.si_signo
print $_siginfo._sifields._sigfault.si_addr
kill
