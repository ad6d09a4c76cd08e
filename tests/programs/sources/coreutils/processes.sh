sleep 0.1 & wait $!
nice -n 5 nice
nohup true
timeout 1 true
stdbuf -o0 echo x
kill -l 9
factor 1234567
seq -s+ 5
