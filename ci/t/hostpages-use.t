#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hostpages-use.t - hostpages used wrongly, without root, and under sanitizers
. "$(dirname "$0")/../helpers/hostpages.sh"

# --- empty, wrong
: > "$shm/empty"
start "$shm/empty" shared:0:1; d=$pid
run --map "$shm/empty" $d
is "empty file" "$status $(q '[.image_bytes, .unique_bytes, .saved_bytes]')" "0 [0,0,0]"
stop $d
misuse() {
	local what=$1 msg=$2
	shift 2
	text=$("$shm/hostpages" "$@" 2>&1 >"$shm/stdout")
	is "$what: status, no report" "$?$(cat "$shm/stdout")" 2
	like "$what: message" "$text" "$msg"
}
misuse "no such file" "none.img: No such file" "$shm/none.img" $a
misuse "no such folder" "No such file" "$shm/none/none.img" $a
misuse "a folder" "neither a regular file nor a block device" "$shm" $a
misuse "a device" "neither a regular file nor a block device" /dev/null $a
misuse "no image" "no image given"
misuse "no process" "no process given" "$img"
misuse "no number" "not a process id: 12x" "$img" 12x
misuse "zero" "not a process id: 0" "$img" 0
misuse "too large" "not a process id" "$img" 99999999999999999999
misuse "guest: no file" "write PID:FILE" --guest=$a "$img" $a
misuse "guest: no such file" "No such file" --guest=$a:"$shm/none" "$img" $a
misuse "guest: a folder" "Is a directory" --guest=$a:"$shm" "$img" $a
misuse "guest: given twice" "was given before" --guest=$a:"$shm/in.none" --guest=$a:"$shm/in.a" "$img" $a
misuse "guest: not counted" "process $b is not one of those" --guest=$b:"$shm/in.b" "$img" $a
misuse "no such method" "no such method: guess" --method=guess "$img" $a
misuse "no such option" "see hostpages --help" --nonsense "$img" $a
"$shm/hostpages" "$img" $a > /dev/full 2>"$shm/err"
is "full disk" "$? $(cat "$shm/err")" "2 hostpages: cannot write the report: No space left on device"

# --- without root
if root; then
	nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all)
	chmod 666 "$img"
	start -p setpriv -p --reuid=65534 -p --regid=65534 -p --clear-groups "$img" shared:0:1024 write:0:70; d=$pid
	start -p setpriv -p --reuid=65534 -p --regid=65534 -p --clear-groups "$img" shared:0:1024 write:60:70; e=$pid
	prefix=("${nobody[@]}")
	run "$img" $d $e
	is "not root: exact by pagemap" "$status $(q .method) $(q '[.shared_by[].bytes / 4096]')" '0 "pagemap" [120,10]'
	is "not root: share" "$(q '[.users[].pss_bytes / 4096]')" "[65,65]"
	run "$img" $d $a $e
	is "not root: another user's process" "$status $(q '[.shared_by[].bytes / 4096]') $(q '[.skipped[].pid]')" "1 [120,10] [$a]"
	like "not root: reason" "$err" "no permission to read its page tables; run hostpages as the same user or as root"
	run --all "$img"
	is "not root: --all" "$status $(q '[.users[].pid] | sort')" "1 $(printf '%s\n' $d $e | jq -sc sort)"
	chmod 644 "$img"
	run "$img" $d $e
	for nocache in "" NO_CACHESTAT=1; do
		prefix=("${nobody[@]}" env LD_PRELOAD="$shm/kill.so" $nocache)
		run "$img" $d $e
		# Kernels before 6.15 told anybody by cachestat; none by mincore.
		case "$nocache$(q .page_cache_bytes)" in
		null | $((597 * 4096)) | NO_CACHESTAT=1null) ok "not root: page cache unknown or right ${nocache,,}" ;;
		*) not_ok "not root: page cache unknown or right ${nocache,,}" "$(q .page_cache_bytes)" ;;
		esac
	done
	chmod 600 "$img"
	prefix=("${nobody[@]}")
	run "$img" $d $e
	is "not root: unreadable image" "$status $(q '[.shared_by[].bytes / 4096, .page_cache_bytes]')" "0 [120,10,null]"
	misuse() { text=$("${nobody[@]}" "$shm/hostpages" "${@:3}" 2>&1); is "$1" "$?" 2; like "$1: message" "$text" "$2"; }
	misuse "not root: kpagecount" "needs root" --method=kpagecount "$img" $d
	prefix=()
	stop $d $e
else
	skip "unprivileged use" "needs root to become nobody"
fi

# --- all of it once more under the sanitizers
cc -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover \
	-o "$shm/sane" "$top"/qemu/hostpages/*.c || die "no build with sanitizers"
export ASAN_OPTIONS=detect_leaks=0
for args in "--json $img $a $b $c" "--json --guest=$a:$shm/in.a --guest=$b:$shm/in.b $img $a $b" \
	    "--guest=$b:$shm/in.b $img $b" "--map $img $a $b $c" "--json --all --method=pagemap $img" \
	    "$img $a $dead $$" "--map $shm/empty $a"; do
	text=$("$shm/sane" $args 2>&1)
	status=$?
	if [ $status -le 1 ] && [[ $text != *Sanitizer* ]] && [[ $text != *"runtime error"* ]]; then
		ok "sanitizers: ${args//$shm\//}"
	else
		not_ok "sanitizers: ${args//$shm\//}" "$text"
	fi
done

done_testing
