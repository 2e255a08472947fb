/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the CPU time of the process and its children, those that run included.
func (p *Process) CPU() (time.Duration, error) {
	spent, err := CPUTime(p.PID())
	if err != nil {
		return 0, errors.Join(err, p.Alive())
	}
	for _, child := range children(p.PID()) {
		if more, err := CPUTime(child); err == nil { // or it has just ended
			spent += more
		}
	}
	return spent, nil
}

// children are the processes that run as those of pid.
func children(pid int) []int {
	var list []int
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*/children", pid)) // the pattern is well-formed
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread that has just ended has none
		for word := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// CPUTime is the user and system time of a process, all its threads and the
// children it has waited for: to the nanosecond, but for the children, whose
// sum the kernel gives in ticks of 10 ms.
func CPUTime(pid int) (time.Duration, error) {
	var own unix.Timespec
	// The number of a process's CPU clock: the inverted PID, then the kind of
	// clock (2 is run time); see clock_getcpuclockid(3).
	if err := unix.ClockGettime(int32(^pid)<<3|2, &own); err != nil {
		return 0, fmt.Errorf("reading the CPU time of process %d: %w", pid, err)
	}
	stat := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after) // from the third on, as proc(5) counts
	if len(fields) < 15 {
		return 0, fmt.Errorf("%s has %d fields", stat, len(fields))
	}
	user, err1 := strconv.ParseInt(fields[13], 10, 64)
	system, err2 := strconv.ParseInt(fields[14], 10, 64)
	const tick = 10 * time.Millisecond
	return time.Duration(own.Nano()) + time.Duration(user+system)*tick, errors.Join(err1, err2)
}
