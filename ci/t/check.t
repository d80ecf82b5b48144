#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ci/check: counts, and what it does not run again, see ci/state.
set -u
cd "$(dirname "$0")/../.." || exit 1
. ci/tap.sh

# A project of its own, whose tests say that they ran.
P=$T/project
mkdir "$P"
cp -r ci "$P"
cd "$P" || exit 1
export BUILD=$P/build HOME=$T
# What "make check" gives its own tests is not for these.
unset CHECK_END CHECK_GRACE
git init -q . && printf '/build\n/ran\n' > .gitignore

new_test() # NAME LINE...
{
	local name=$1

	shift
	{ echo '#!/bin/sh'; echo "echo $name >> ran"; printf "echo '%s'\n" "$@" "1..$#"; } > "$name"
	chmod +x "$name"
}

new_test good 'ok 1 - a' 'ok 2 - b'
new_test skips 'ok 1 - a' 'ok 2 - b # SKIP no'
new_test fails 'ok 1 - a' 'not ok 2 - b'
new_test short 'ok 1 - a' 'ok 3 - b'

# Runs the tests, and compares the last line and which of them ran.
gives() # LAST-LINE RAN TEST...
{
	local last=$1 ran=$2

	shift 2
	rm -f ran
	ci/check -k known "$@" > out 2>&1
	cat out
	echo "ran: $(cat ran 2> /dev/null | paste -sd' ')"
	[ "$(tail -n 1 out)" = "$last" ] && [ "$(cat ran 2> /dev/null | paste -sd' ')" = "$ran" ]
}
printf '/known\n/out\n' >> .gitignore

check "points are counted" gives "4 passed, 1 failed, 1 skipped" "good skips fails" ./good ./skips ./fails
check "what passed is counted and does not run again; what was skipped or failed does" \
	gives "4 passed, 1 failed, 1 skipped" "skips fails" ./good ./skips ./fails
check "all of it passed before" gives "2 passed, 0 failed, 0 skipped" "" ./good
check "a wrong number of points is a failure, each time" gives "4 passed, 1 failed, 0 skipped" "short" ./good ./short
late() { CHECK_END=1 gives "$@"; }
check "no test begins after CHECK_END, and what passed before counts" \
	late "2 passed, 0 failed, 1 skipped" "" ./good ./fails
new_test hangs 'ok 1 - a' && echo 'sleep 60' >> hangs
ends() { CHECK_END=$(($(date +%s) + 3)) CHECK_GRACE=1 gives "$@"; }
check "a test that does not end fails" ends "3 passed, 1 failed, 0 skipped" "good hangs" ./good ./hangs
# A test of which nothing is left if ci/check is interrupted.
new_test waits 'ok 1 - a' && echo 'exec sleep 54321' >> waits
interrupted()
{
	local pid

	CHECK_END=$(($(date +%s) + 60)) env --default-signal setsid ci/check ./waits > out 2>&1 &
	pid=$!
	for _ in $(seq 100); do pgrep -f '^sleep 54321' > pids && break; sleep 0.1; done
	kill -INT -- -$pid
	wait $pid
	for _ in $(seq 100); do pgrep -f '^sleep 54321' > left || break; sleep 0.1; done
	[ -s pids ] && [ ! -s left ]
}
check "an interrupt ends the test, too" interrupted
# Two that end once both have begun, and one that is to begin after them.
mkdir -p erofs-utils/tests
for t in one two; do
	printf '#!/bin/sh\ntouch began-%s\nfor i in $(seq 100); do [ -e began-one ] && [ -e began-two ] && break; sleep 0.1; done\n%s\n%s\n' \
		$t '[ $i -lt 100 ] && echo "ok 1 - a" || echo "not ok 1 - a"' 'sleep 0.5; echo >> ended; echo 1..1' > erofs-utils/tests/$t
	chmod +x erofs-utils/tests/$t
done
new_test after 'ok 1 - a' && sed -i 's/^echo 1..1/[ "$(wc -l < ended)" = 2 ] \&\& echo 1..1/' after
at_a_time() # JOBS LAST-LINE
{
	rm -f began-* ended
	ci/check -j "$1" erofs-utils/tests/one erofs-utils/tests/two ./after > out 2>&1
	cat out
	[ "$(tail -n 1 out)" = "$2" ]
}
check "-j: tests of the tools run at a time, and what follows after them" at_a_time 2 "3 passed, 0 failed, 0 skipped"
check "without, one after the other" at_a_time 1 "2 passed, 1 failed, 0 skipped"
check "-j takes a number" sh -c 'ci/check -j x ./good; [ $? = 2 ]'
check "without -k all runs" sh -c 'rm ran; ci/check ./good && [ "$(cat ran)" = good ]'
echo "# changed" >> skips
check "a file that git does not know yet changed" gives "2 passed, 0 failed, 0 skipped" "good" ./good
git add -A && git -c user.name=x -c user.email=x@invalid commit -qm x
check "a commit changes no file" gives "2 passed, 0 failed, 0 skipped" "" ./good
export BASE=other
check "another base" gives "2 passed, 0 failed, 0 skipped" "good" ./good
git init -q build/other/tree
git -C build/other/tree -c user.name=x -c user.email=x@invalid commit -q --allow-empty -m y
check "a commit in a tree" gives "2 passed, 0 failed, 0 skipped" "good" ./good
new_test meddles 'ok 1 - a'
echo 'echo >> skips' >> meddles
gives "1 passed, 0 failed, 0 skipped" "meddles" ./meddles > /dev/null
git checkout -q skips
check "a test during which something changed is not remembered" \
	gives "1 passed, 0 failed, 0 skipped" "meddles" ./meddles
rm -rf .git
check "without git all runs" gives "2 passed, 0 failed, 0 skipped" "good" ./good
check "each time" gives "2 passed, 0 failed, 0 skipped" "good" ./good
fails "an unknown option" "^usage" ci/check -x ./good
fails "no test" "^usage" ci/check
done_testing
