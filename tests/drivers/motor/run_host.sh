#!/bin/sh
# Compiles the motor's C cores with their tests on this machine, under the address and undefined-behaviour sanitizers,
# and runs them. Needs a C compiler that has them (gcc, clang), nothing of Zephyr.
#
#   tests/drivers/motor/run_host.sh            all tests
#   tests/drivers/motor/run_host.sh interlock  one of interlock, motor_core, rotor, motor_emulated, step_plan, stepper
#
# The last line is "N passed, N failed"; the exit status is 0 if none failed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
drivers=$here/../../../src/drivers
compiler=${CC:-cc}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT INT TERM

# -O1: the ten simulated days are tens of millions of steps. Anything a sanitizer sees ends the program.
flags="-std=c11 -O1 -g -Wall -Wextra -Werror -Wconversion -Wsign-conversion -Wshadow
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

passed=0
failed=0
for name in ${*:-interlock motor_core rotor motor_emulated step_plan stepper}; do
	# shellcheck disable=SC2086 # the flags are words
	if ! "$compiler" $flags -I"$drivers/include" -I"$here/host" -o "$build/$name" "$here/host/${name}_test.c" \
		"$drivers/motor/interlock.c" "$drivers/motor/motor_core.c" "$drivers/motor/rotor.c" \
		"$drivers/motor/motor_emulated.c" "$drivers/motor/step_plan.c" \
		"$drivers/motor/stepper.c"; then
		echo "$name: does not compile"
		failed=$((failed + 1))
		continue
	fi
	status=0
	"$build/$name" >"$build/$name.log" 2>&1 || status=$?
	cat "$build/$name.log"
	counts=$(sed -n "s/^$name: \([0-9]*\) passed, \([0-9]*\) failed\$/\1 \2/p" "$build/$name.log")
	if [ -z "$counts" ]; then
		echo "$name: ended early with status $status"
		failed=$((failed + 1))
		continue
	fi
	passed=$((passed + ${counts% *}))
	failed=$((failed + ${counts#* }))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
