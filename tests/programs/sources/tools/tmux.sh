# needs: tmux
run() { tmux -S ./socket -f /dev/null "$@"; }
run new-session -d -x 80 -y 24 'echo in tmux; read x; echo "got $x"; sleep 60'
until run capture-pane -p | grep -q 'in tmux'; do sleep 0.1; done
run send-keys hello Enter
until run capture-pane -p | grep -q '^got'; do sleep 0.1; done
run capture-pane -p | head -n 3
run list-sessions -F '#{session_name} #{session_windows} #{window_width}x#{window_height}'
run kill-server
echo "server $?"
rm -f socket
