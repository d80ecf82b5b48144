# SPDX-License-Identifier: GPL-2.0-or-later
#
# KTAP for shell tests in a guest; the words are those of ci/tap.sh:
#
#   ok STATUS NAME     a result: good if STATUS is 0
#   check NAME CMD...  a result: good if CMD exits 0; what it printed is shown if
#                      it does not, and its status is returned
#   fails NAME REGEX CMD...
#                      a result: good if CMD exits with an error of its own (not
#                      by a signal) and a line of its output matches REGEX
#   skip NAME REASON   a result that cannot be found here
#   leaks NAME         a result: good if kmemleak finds nothing; takes 10 s or more,
#                      skipped where the kernel has no kmemleak
#   content DIR        are the files of DIR those of its SHA256SUMS?
#   links DIR          are the symbolic links of DIR those of its LINKS?
#   said REGEX         has the kernel said something?
#   comment            standard input as remarks
#   done_testing       the plan; the last call
#
# The script ends with status 1 if a result was not good.

ktap_count=0
ktap_failed=0
echo "KTAP version 1"
trap '[ $ktap_failed = 0 ] || exit 1' EXIT

comment() { sed 's/^/# /'; }

ok()
{
	ktap_count=$((ktap_count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $ktap_count - $2"
	else
		ktap_failed=1
		echo "not ok $ktap_count - $2"
	fi
}

check()
{
	local name=$1 out status

	shift
	out=$("$@" 2>&1)
	status=$?
	[ $status = 0 ] || printf '%s\n' "$out" "status $status: $*" | comment
	ok $status "$name"
	return $status
}

fails()
{
	local name=$1 regex=$2 out status bad=1

	shift 2
	out=$("$@" 2>&1)
	status=$?
	# 126 and up are the shell's, but 255 is what mount of busybox ends with
	if [ $status -gt 0 ] && { [ $status -lt 126 ] || [ $status = 255 ]; } && printf '%s\n' "$out" | grep -qE -e "$regex"; then
		bad=0
	else
		printf '%s\n' "$out" "status $status, wanted an error like /$regex/: $*" | comment
	fi
	ok $bad "$name"
}

skip()
{
	ktap_count=$((ktap_count + 1))
	echo "ok $ktap_count - $1 # SKIP $2"
}

leaks()
{
	local file=/sys/kernel/debug/kmemleak out

	[ -e $file ] || { skip "$1" "the kernel has no kmemleak"; return; }
	# It reports objects from the age of 5 s on (MSECS_MIN_AGE); the second scan
	# clears those whose pointer was on the move during the first.
	sleep 6
	echo scan > $file && echo scan > $file
	out=$(cat $file)
	[ -z "$out" ] || printf '%s\n' "$out" | head -n 60 | comment
	[ -z "$out" ]
	ok $? "$1"
}

content() { (cd "$1" && sha256sum -c SHA256SUMS); }
links() { (cd "$1" && find . -type l | sort | while read -r l; do echo "$l $(readlink "$l")"; done) | cmp - "$1/LINKS"; }
said() { dmesg | grep -qE -e "$1" || { echo "wanted from the kernel: $1; it said:"; dmesg | tail -n 15; return 1; }; }

done_testing() { echo "1..$ktap_count"; }
