bash -c 'kill -SEGV $$'
echo $?
bash -c 'kill -PIPE $$'
echo $?
(ulimit -c 0; bash -c 'kill -ABRT $$')
echo $?
