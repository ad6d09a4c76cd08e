set pagination off
set confirm off
set width 0
set debug-file-directory /nonexistent
set startup-with-shell off
set print thread-events off
set follow-fork-mode child
set detach-on-fork off
handle SIGUSR1 nostop noprint pass
catch exec
run
info inferiors
continue
inferior 1
continue
