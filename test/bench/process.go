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

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
)

// process is a running proxy.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start runs cmd in ns and appends what it says to the file log.
func start(cmd *exec.Cmd, ns *netns.Namespace, log string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	cmd.Stdout, cmd.Stderr = file, file
	if err := ns.Do(cmd.Start); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	return p, nil
}

// stop asks the process to end and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// alive is an error with the end of the log if the process has ended.
func (p *process) alive() error {
	select {
	case <-p.ended:
		text, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s has ended; the end of its log:\n%s", p.cmd.Path, text[max(0, len(text)-2000):])
	default:
		return nil
	}
}

// cpu is the CPU time of the process and its children, those that run included.
func (p *process) cpu() (time.Duration, error) {
	spent, err := cpuTime(p.cmd.Process.Pid)
	if err != nil {
		return 0, errors.Join(err, p.alive())
	}
	for _, child := range children(p.cmd.Process.Pid) {
		if more, err := cpuTime(child); err == nil { // or it has just ended
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

// cpuTime is the user and system time of a process, all its threads and the
// children it has waited for: to the nanosecond, but for the children, whose
// sum the kernel gives in ticks of 10 ms.
func cpuTime(pid int) (time.Duration, error) {
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

// pidOf is the process of that name in this PID namespace.
func pidOf(name string) (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/comm")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(text)) == name {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, errors.Join(err, fmt.Errorf("no process %s runs", name))
}

// peakMemory is the most physical memory the process has had, in bytes.
func (p *process) peakMemory() (int64, error) { return kilobytes(p.proc("status"), "VmHWM") }

// residentMemory is the physical memory the process has, in bytes.
func (p *process) residentMemory() (int64, error) { return kilobytes(p.proc("status"), "VmRSS") }

// forgetPeak makes the memory of now the peak.
func (p *process) forgetPeak() error { return os.WriteFile(p.proc("clear_refs"), []byte("5"), 0) }

func (p *process) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file)
}

// kilobytes sums lines such as "VmHWM:  1234 kB" of a file in /proc, in bytes.
func kilobytes(path string, names ...string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	var sum int64
	found := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		for _, name := range names {
			text, ok := strings.CutPrefix(lines.Text(), name+":")
			if !ok {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			sum += n << 10
			found++
		}
	}
	if found != len(names) {
		return 0, fmt.Errorf("%s does not have all of %v", path, names)
	}
	return sum, nil
}
