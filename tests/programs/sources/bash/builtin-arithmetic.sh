for ((i=0;i<200;i++)); do ((s+=i*i)); done
echo $s
