set pagination off
set confirm off
set width 0
set debug-file-directory /nonexistent
set startup-with-shell off
handle SIGUSR1 nostop noprint pass
set can-use-hw-watchpoints 0
break factorial
run
delete
watch total
continue
continue
delete
continue
