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
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// capabilities is a set of them, as the kernel numbers its bits.
type capabilities uint64

// everyCapability is what a privileged container gets, as far as the runner has it.
const everyCapability = ^capabilities(0)

// capabilityNames are in the kernel's order, from bit 0 on.
var capabilityNames = strings.Fields(`
	CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
	NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
	SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
	MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

// usualCapabilities are those of a container that asks for nothing, with
// containerd (defaultUnixCaps) and Docker alike. CRI-O gives fewer: no AUDIT_WRITE,
// MKNOD, NET_RAW, SETFCAP and SYS_CHROOT.
const usualCapabilities capabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FSETID | 1<<unix.CAP_FOWNER |
	1<<unix.CAP_MKNOD | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETFCAP | 1<<unix.CAP_SETPCAP |
	1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_KILL | 1<<unix.CAP_AUDIT_WRITE

// capabilitiesOf adds to the usual ones and drops from them as a container
// runtime does: ALL first, then those by name, added and then dropped.
func capabilitiesOf(context *corev1.SecurityContext) (capabilities, error) {
	set := usualCapabilities
	if context == nil {
		return set, nil
	}
	if context.Privileged != nil && *context.Privileged {
		return everyCapability, nil
	}
	if context.Capabilities == nil {
		return set, nil
	}
	add, addAll, err := capabilitiesNamed(context.Capabilities.Add)
	if err != nil {
		return 0, err
	}
	drop, dropAll, err := capabilitiesNamed(context.Capabilities.Drop)
	if err != nil {
		return 0, err
	}
	if addAll {
		set = everyCapability
	}
	if dropAll {
		set = 0
	}
	return (set | add) &^ drop, nil
}

func capabilitiesNamed(names []corev1.Capability) (set capabilities, all bool, err error) {
	for _, name := range names {
		if strings.EqualFold(string(name), "ALL") {
			all = true
			continue
		}
		bit, ok := capabilityBit(string(name))
		if !ok {
			return 0, false, fmt.Errorf("unknown capability %q", name)
		}
		set |= 1 << bit
	}
	return set, all, nil
}

func capabilityBit(name string) (bit int, ok bool) {
	name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	for bit, known := range capabilityNames {
		if known == name {
			return bit, true
		}
	}
	return 0, false
}
