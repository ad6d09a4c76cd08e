# needs: gawk
gawk 'BEGIN {while (("seq 5" | getline x) > 0) s += x; print s; print "b\na" | "sort"; close("sort"); printf "%.3f %s\n", atan2(0,-1), toupper("x"); "date -u -d @0 +%Y" | getline y; print y; print ENVIRON["TZ"]}'
