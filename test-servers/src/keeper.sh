# Stands between a server and the process that uses it. Its words come from there, one a line. When they end, because that process
# has closed the pipe or has itself ended in whatever way, the server is ended and its folder removed.
#
# As the server's parent it is the only one who can free the server's process id: signals to it cannot hit a stranger.
# When that process ends while the server stands still, the system sends both of us a hangup.
trap '' HUP
end_signal=$1
folder=$2
shift 2
server=
while read -r word; do
    case $word in
    start)
        "$@" </dev/null >>"$folder/log" 2>&1 &
        server=$!
        echo "$server"
        ;;
    reap)
        wait "$server"
        echo "$?"
        server=
        ;;
    leave) exit ;;
    esac
done
if [ -n "$server" ]; then
    # Children that stand still would hold up the end for seconds.
    pkill -CONT -P "$server"
    kill -CONT "$server"
    kill -"$end_signal" "$server"
    wait "$server"
fi
rm -rf "$folder"
