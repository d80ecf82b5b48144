# SPDX-License-Identifier: GPL-2.0-or-later
#
# KTAP for shell tests: ". /harness/ktap.sh", then
#
#   plan N                    say how many results follow
#   check "NAME" COMMAND...   one result: ok if the command succeeds; what it
#                             printed is shown if it fails
#   deny "NAME" COMMAND...    one result: ok if the command fails by itself
#                             (not by a signal)
#   skip "NAME" REASON        one result that could not be had
#   note TEXT                 a remark
#
# The script ends with status 1 if a result was not ok.

ktap_number=0
ktap_failed=0

plan()
{
	echo "KTAP version 1"
	echo "1..$1"
	trap '[ $ktap_failed = 0 ] || exit 1' EXIT
}

note() { echo "# $*"; }

ktap_result() # 0|1 NAME
{
	ktap_number=$((ktap_number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $ktap_number - $2"
	else
		ktap_failed=1
		echo "not ok $ktap_number - $2"
	fi
}

check()
{
	local name=$1 out status

	shift
	out=$("$@" 2>&1)
	status=$?
	[ $status = 0 ] || echo "$out
status $status: $*" | sed 's/^/# /'
	[ $status = 0 ]
	ktap_result $? "$name"
}

deny()
{
	local name=$1 out status

	shift
	out=$("$@" 2>&1)
	status=$?
	[ $status -gt 0 ] && [ $status -lt 126 ] || echo "$out
status $status, but it was to fail: $*" | sed 's/^/# /'
	[ $status -gt 0 ] && [ $status -lt 126 ]
	ktap_result $? "$name"
}

skip()
{
	ktap_number=$((ktap_number + 1))
	echo "ok $ktap_number - $1 # SKIP $2"
}
