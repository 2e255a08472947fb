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

package runner

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// apply gives up, on the calling thread alone, all that the privileges do not
// have. The thread has to be the one that calls exec.
func (p privileges) apply() error {
	own, err := ownCapabilities()
	if err != nil {
		return err
	}
	p.ownOutput()
	if err := p.limit(); err != nil {
		return err
	}
	if err := p.identify(); err != nil {
		return err
	}
	// A user that is not 0 has lost what was effective with the change.
	if p.User == 0 {
		if err := setCapabilities(own & p.Capabilities); err != nil {
			return fmt.Errorf("setting capabilities: %w", err)
		}
	}
	if p.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("setting no_new_privs: %w", err)
		}
	}
	return nil
}

// ownOutput lets the program open /dev/stdout by its name. What is no pipe, such
// as /dev/null, belongs to the machine.
func (p privileges) ownOutput() {
	for _, fd := range []int{0, 1, 2} {
		var stat unix.Stat_t
		if unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFIFO {
			_ = unix.Fchown(fd, p.User, p.Group)
		}
	}
}

// limit is about what exec can give back: capabilities outside of the bounding
// set it can not, and with noroot it gives user 0 no more than others.
func (p privileges) limit() error {
	for bit := range capabilityNames {
		if p.Capabilities&(1<<bit) != 0 {
			continue
		}
		// EINVAL: this kernel is older than the capability.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(bit), 0, 0, 0); err != nil && err != unix.EINVAL {
			return fmt.Errorf("dropping capability %s: %w", capabilityNames[bit], err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clearing ambient capabilities: %w", err)
	}
	if p.Stripped {
		const noRoot = 1<<0 | 1<<1 // SECBIT_NOROOT and its lock
		if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0); err != nil {
			return fmt.Errorf("setting secure bits: %w", err)
		}
	}
	return nil
}

func (p privileges) identify() error {
	if denied, _ := os.ReadFile("/proc/self/setgroups"); strings.TrimSpace(string(denied)) != "deny" {
		if err := unix.Setgroups(p.Groups); err != nil {
			return fmt.Errorf("setting groups: %w", err)
		}
	}
	if err := unix.Setresgid(p.Group, p.Group, p.Group); err != nil {
		return fmt.Errorf("setting group %d: %w", p.Group, err)
	}
	if err := unix.Setresuid(p.User, p.User, p.User); err != nil {
		return fmt.Errorf("setting user %d: %w", p.User, err)
	}
	return nil
}

func ownCapabilities() (capabilities, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("reading capabilities: %w", err)
	}
	return capabilities(data[0].Permitted) | capabilities(data[1].Permitted)<<32, nil
}

// setCapabilities makes them permitted and effective, and none inheritable.
func setCapabilities(set capabilities) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	low, high := uint32(set), uint32(set>>32)
	data := [2]unix.CapUserData{{Effective: low, Permitted: low}, {Effective: high, Permitted: high}}
	return unix.Capset(&header, &data[0])
}
