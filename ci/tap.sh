# SPDX-License-Identifier: GPL-2.0-or-later
#
# ci/tap.sh - print TAP from a shell test; to be sourced
#
#   ok STATUS NAME     a test point: passes if STATUS is 0
#   check NAME CMD...  runs CMD, passes if it exits 0; its output is shown as
#                      comments if it does not, and its status is returned
#   fails NAME REGEX CMD...
#                      runs CMD, passes if it exits with an error and one line
#                      of its output matches REGEX
#   skip NAME REASON   a test point that cannot be run here
#   skip_all REASON    the whole test cannot be run here; exits
#   done_testing       the plan; the last call
#
# A scratch directory $T is there, and gone when the test ends.

tap_count=0
tap_failed=0
T=$(mktemp -d)
trap 'chmod -R u+w "$T"; rm -rf "$T"' EXIT
trap 'exit 130' INT TERM

comment() { sed 's/^/# /'; }

ok()
{
	local name

	# A point is one line.
	name=$(echo "$2" | tr -s '[:space:]' ' ')
	tap_count=$((tap_count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_count - $name"
	else
		echo "not ok $tap_count - $name"
		tap_failed=$((tap_failed + 1))
	fi
}

check()
{
	local name=$1 status=0

	shift
	"$@" > "$T/check.out" 2>&1 || status=$?
	ok $status "$name"
	[ $status = 0 ] || { tail -n 30 "$T/check.out"; echo "status $status: $*"; } | comment
	return $status
}

fails()
{
	local name=$1 regex=$2 status=0

	shift 2
	"$@" > "$T/check.out" 2>&1 || status=$?
	if [ $status != 0 ] && [ $status -lt 124 ] && grep -qE -- "$regex" "$T/check.out"; then
		ok 0 "$name"
	else
		ok 1 "$name"
		echo "# exit status $status, expected an error that matches: $regex"
		tail -n 30 "$T/check.out" | comment
	fi
}

skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

skip_all() { echo "1..0 # SKIP $1"; exit 0; }

done_testing() { echo "1..$tap_count"; [ $tap_failed = 0 ]; }
