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
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/test/testenv/process"
)

// machine is what the figures depend on.
type machine struct {
	Date       time.Time `json:"date"`
	Cores      int       `json:"cores"`
	CPU        string    `json:"cpu"`
	MemoryGiB  float64   `json:"memoryGiB"`
	Kernel     string    `json:"kernel"`
	Go         string    `json:"go"`
	APIServer  string    `json:"apiServer"`
	Switchyard string    `json:"switchyard"`
	Manager    string    `json:"manager"`
	KubeProxy  string    `json:"kubeProxy"`
	DNS        string    `json:"dns"`
	CoreDNS    string    `json:"coreDNS"`
	Nft        string    `json:"nft"`
	Command    string    `json:"command"`
}

func thisMachine(ours, theirs subject, o options) machine {
	m := machine{
		Date: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), CPU: cpuModel(), Go: runtime.Version(),
		APIServer: versionOf(filepath.Join(filepath.Dir(theirs.program), "kube-apiserver")),
		Manager:   versionOf(o.manager), Switchyard: ours.version(), KubeProxy: theirs.version(),
		DNS: versionOf(o.dnsServer), CoreDNS: firstWordOf(o.coreDNS, "-version"),
		Command: "bench" + o.given,
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	if total, err := process.Kilobytes("/proc/meminfo", "MemTotal"); err == nil {
		m.MemoryGiB = float64(total) / (1 << 30)
	}
	if out, err := exec.Command("nft", "--version").Output(); err == nil {
		m.Nft = strings.TrimSpace(string(out))
	}
	return m
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores (%s), %.0f GiB, Linux %s; switchyard-node %s, kube-proxy %s (nftables), %s, kube-apiserver %s, %s",
		m.Date.Format(time.DateOnly), m.Cores, m.CPU, m.MemoryGiB, m.Kernel, m.Switchyard, m.KubeProxy, m.Nft, m.APIServer, m.Go)
}
