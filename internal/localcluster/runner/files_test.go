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
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestResolvConf(t *testing.T) {
	const machine = "nameserver 192.0.2.1\nsearch example.com\n"
	cluster := "search ns.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
	config := &corev1.PodDNSConfig{
		Nameservers: []string{"192.0.2.53"}, Searches: []string{"svc.cluster.local", "example.org"},
		Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: new("2")}, {Name: "edns0"}},
	}
	for name, tc := range map[string]struct {
		spec corev1.PodSpec
		want string
	}{
		"the default is ClusterFirst":           {corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst}, cluster},
		"on the host network it is the machine": {corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst, HostNetwork: true}, machine},
		"unless that is asked for":              {corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirstWithHostNet, HostNetwork: true}, cluster},
		"Default is the machine's":              {corev1.PodSpec{DNSPolicy: corev1.DNSDefault}, machine},
		"None is the Pod's own":                 {corev1.PodSpec{DNSPolicy: corev1.DNSNone, DNSConfig: config}, "search svc.cluster.local example.org\nnameserver 192.0.2.53\noptions ndots:2 edns0\n"},
		"own settings are merged": {
			corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst, DNSConfig: config},
			"search ns.svc.cluster.local svc.cluster.local cluster.local example.org\nnameserver 10.96.0.10\nnameserver 192.0.2.53\noptions ndots:2 edns0\n",
		},
	} {
		pod := podOf()
		pod.Spec = tc.spec
		if diff := cmp.Diff(tc.want, resolvConf(pod, "cluster.local", []netip.Addr{netip.MustParseAddr("10.96.0.10")}, machine)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestHostsFileNamesThePod(t *testing.T) {
	pod := podOf()
	pod.Spec.Hostname, pod.Spec.Subdomain = "web-0", "peers"
	pod.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.7", Hostnames: []string{"a.test", "b.test"}}}
	got := hostsFile(pod, "cluster.local", []netip.Addr{netip.MustParseAddr("10.244.0.2"), netip.MustParseAddr("fd00::2")})
	for _, want := range []string{"10.244.0.2\tweb-0.peers.ns.svc.cluster.local\tweb-0\n", "fd00::2\tweb-0.peers.ns.svc.cluster.local\tweb-0\n", "192.0.2.7\ta.test\tb.test\n", "127.0.0.1\tlocalhost\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestAddressesAreGivenOnceAndRest(t *testing.T) {
	a := newAddresses([]netip.Prefix{netip.MustParsePrefix("10.0.0.16/29"), netip.MustParsePrefix("fd00::/64")})
	var got []string
	for range 5 {
		index, err := a.take()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(a.at(index)))
	}
	want := []string{"[10.0.0.18 fd00::2]", "[10.0.0.19 fd00::3]", "[10.0.0.20 fd00::4]", "[10.0.0.21 fd00::5]", "[10.0.0.22 fd00::6]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	a.release(3)
	a.release(5)
	if index, err := a.take(); index != 3 || err != nil {
		t.Errorf("after a release: %d, %v, want 3", index, err)
	}
	a.release(3)
	if index, err := a.take(); index != 5 || err != nil {
		t.Errorf("a freed address is used again at once: %d, %v", index, err)
	}
	a.claim([]corev1.PodIP{{IP: "10.0.0.19"}})
	if _, err := a.take(); !errors.Is(err, errNoAddress) {
		t.Errorf("beyond the last: %v", err)
	}
	if gateways := fmt.Sprint(a.gateways()); gateways != "[10.0.0.17 fd00::1]" {
		t.Errorf("gateways %s", gateways)
	}
}

func TestAddressesOfAnEarlierRunAreClaimed(t *testing.T) {
	a := newAddresses([]netip.Prefix{netip.MustParsePrefix("10.244.1.0/24"), netip.MustParsePrefix("fd00::/64")})
	claim := func(ip string) bool {
		_, ok := a.claim([]corev1.PodIP{{IP: ip}})
		return ok
	}
	for ip, want := range map[string]bool{"10.244.1.7": true, "fd00::9": true, "10.244.2.7": false, "10.244.1.1": false, "10.244.1.255": false, "fd00::1:0:0:2": false, "x": false} {
		if got := claim(ip); got != want {
			t.Errorf("claim(%s) = %t", ip, got)
		}
	}
	if claim("10.244.1.7") || a.used[9] == false {
		t.Error("a claimed address is not taken")
	}
}

func TestANewPodDoesNotGetAKeptAddress(t *testing.T) {
	r := New(Config{PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.1.0/24")}})
	old, fresh := podOf("a"), podOf("a")
	old.UID, fresh.UID = "old", "fresh"
	old.Status.PodIPs = []corev1.PodIP{{IP: "10.244.1.2"}}
	r.keepAddresses([]corev1.Pod{*fresh, *old})
	for pod, want := range map[*corev1.Pod]uint32{fresh: 3, old: 2} { // in any order
		if got, err := r.addressOf(pod); got != want || err != nil {
			t.Errorf("%s has index %d, %v, want %d", pod.UID, got, err, want)
		}
	}
}

// reading is a log read back with options.
func reading(t *testing.T, path string, options *corev1.PodLogOptions) string {
	t.Helper()
	var b strings.Builder
	if err := readLog(t.Context(), path, options, &b, func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLogsAreReadAsAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	out, errOut := log.stream("stdout"), log.stream("stderr")
	for _, text := range []string{"one\ntw", "o\n", "thr"} {
		_, _ = out.Write([]byte(text))
	}
	_, _ = errOut.Write([]byte("oops\n"))
	_ = out.Close() // writes what has no newline
	for name, tc := range map[string]struct {
		options corev1.PodLogOptions
		want    string
	}{
		"all":          {corev1.PodLogOptions{}, "one\ntwo\noops\nthr\n"},
		"the last":     {corev1.PodLogOptions{TailLines: ptr.To[int64](2)}, "oops\nthr\n"},
		"none":         {corev1.PodLogOptions{TailLines: ptr.To[int64](0)}, ""},
		"a stream":     {corev1.PodLogOptions{Stream: new("Stderr")}, "oops\n"},
		"some bytes":   {corev1.PodLogOptions{LimitBytes: ptr.To[int64](6)}, "one\ntw"},
		"the newest":   {corev1.PodLogOptions{SinceSeconds: ptr.To[int64](3600)}, "one\ntwo\noops\nthr\n"},
		"the future's": {corev1.PodLogOptions{SinceSeconds: ptr.To[int64](-3600)}, ""},
	} {
		if got := reading(t, path, &tc.options); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if got := reading(t, path, &corev1.PodLogOptions{Timestamps: true}); len(strings.SplitN(got, " ", 2)[0]) != len("2006-01-02T15:04:05.000000000Z") {
		t.Errorf("with times: %q", got)
	}
}

func TestLongLinesComeBackWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 3*maxLogLine+5) + "\n"
	_, _ = log.stream("stdout").Write([]byte(line))
	if got := reading(t, path, &corev1.PodLogOptions{}); got != line {
		t.Errorf("%d bytes came back of %d", len(got), len(line))
	}
}

func TestAFollowedLogCrossesRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	stream := log.stream("stdout")
	write := func(text string) { _, _ = fmt.Fprintln(stream, text) }
	write("before")
	pipe := make(chan string, 100)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	alive := make(chan struct{})
	go func() {
		ended <- readLog(ctx, path, &corev1.PodLogOptions{Follow: true}, chanWriter(pipe), func() bool {
			select {
			case <-alive:
				return false
			default:
				return true
			}
		})
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-pipe:
			if got != want+"\n" {
				t.Errorf("%q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("%q did not come", want)
		}
	}
	expect("before")
	write("last of the old")
	log.mu.Lock()
	log.rotate()
	log.mu.Unlock()
	write("first of the new")
	expect("last of the old")
	expect("first of the new")
	close(alive)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(rotatedLog(path)); err != nil {
		t.Error(err)
	}
	if got := reading(t, path, &corev1.PodLogOptions{}); got != "before\nlast of the old\nfirst of the new\n" {
		t.Errorf("both parts: %q", got)
	}
}

type chanWriter chan string

func (c chanWriter) Write(p []byte) (int, error) {
	c <- string(p)
	return len(p), nil
}
