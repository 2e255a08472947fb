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
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PeakMemory is the most physical memory the process has had, in bytes.
func (p *Process) PeakMemory() (int64, error) { return Kilobytes(p.proc("status"), "VmHWM") }

// ResidentMemory is the physical memory the process has, in bytes.
func (p *Process) ResidentMemory() (int64, error) { return Kilobytes(p.proc("status"), "VmRSS") }

// ForgetPeak makes the memory of now the peak.
func (p *Process) ForgetPeak() error { return os.WriteFile(p.proc("clear_refs"), []byte("5"), 0) }

func (p *Process) proc(file string) string { return fmt.Sprintf("/proc/%d/%s", p.PID(), file) }

// Kilobytes sums lines such as "VmHWM:  1234 kB" of a file in /proc, in bytes.
func Kilobytes(path string, names ...string) (int64, error) {
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
