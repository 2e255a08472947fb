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

package allocator

import (
	"fmt"
	"math/bits"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// fills are how full a range is: one number in a thousand free, spread over the
// range, or a single one, which is where a scan has to look at everything.
var fills = map[string]func(offset, size uint64) bool{
	"99.9%": func(offset, _ uint64) bool { return offset%1000 != 999 },
	"1free": func(offset, size uint64) bool { return offset != size/2 },
}

func filled(size uint64, used func(offset, size uint64) bool) *Range[uint64] {
	r := newRange[uint64](plain{}, size, min(256, size/16))
	for offset := range size {
		if used(offset, size) {
			r.bits.set(offset)
		}
	}
	return r
}

// BenchmarkAllocateNext of a nearly full range, against a bitmap that is scanned
// bit by bit from a random start, as the API server's in-memory allocator does,
// and one that is scanned by words.
func BenchmarkAllocateNext(b *testing.B) {
	for name, size := range map[string]uint64{"ports-2768": 2768, "ipv4-12": 1<<20 - 2} {
		for fill, used := range fills {
			name := name + "/" + fill
			b.Run(name+"/hierarchy", func(b *testing.B) { benchmarkHierarchy(b, filled(size, used)) })
			b.Run(name+"/bit-scan", func(b *testing.B) { benchmarkScan(b, size, used, (*scan).nextBit) })
			b.Run(name+"/word-scan", func(b *testing.B) { benchmarkScan(b, size, used, (*scan).nextWord) })
		}
	}
}

func benchmarkHierarchy(b *testing.B, r *Range[uint64]) {
	b.ReportAllocs()
	for b.Loop() {
		n, err := r.AllocateNext()
		if err != nil {
			b.Fatal(err)
		}
		r.Release(n)
	}
}

func benchmarkScan(b *testing.B, size uint64, used func(offset, size uint64) bool, next func(*scan, uint64) uint64) {
	s := &scan{size: size, words: make([]uint64, size/64+1)}
	for offset := range size {
		if used(offset, size) {
			s.words[offset/64] |= 1 << (offset % 64)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		offset := next(s, random(size))
		s.words[offset/64] |= 1 << (offset % 64)
		s.words[offset/64] &^= 1 << (offset % 64)
	}
}

// BenchmarkAllocateInPool draws from a pool of several spans, among which the rest
// of the range is as full.
func BenchmarkAllocateInPool(b *testing.B) {
	for name, size := range map[string]uint64{"ports-2768": 2768, "ipv4-12": 1<<20 - 2} {
		for _, spans := range []uint64{4, 64} {
			b.Run(fmt.Sprintf("%s/%d-spans", name, spans), func(b *testing.B) {
				r := filled(size, func(offset, _ uint64) bool { return offset%1000 != 999 })
				var parts []offsets
				for i := range spans {
					parts = append(parts, offsets{i * size / spans, (2*i + 1) * size / spans / 2})
				}
				w := newWindow(parts...)
				r.Release(parts[len(parts)-1].low) // the smaller range may have nothing free in the pool
				b.ReportAllocs()
				for b.Loop() {
					n, ok := r.allocateIn(&w)
					if !ok {
						b.Fatal("the pool is full")
					}
					r.Release(n)
				}
			})
		}
	}
}

// scan is the plain bitmap to compare with.
type scan struct {
	size  uint64
	words []uint64
}

func (s *scan) nextBit(from uint64) uint64 {
	for offset := from; ; offset = (offset + 1) % s.size {
		if s.words[offset/64]&(1<<(offset%64)) == 0 {
			return offset
		}
	}
}

func (s *scan) nextWord(from uint64) uint64 {
	for {
		if free := ^s.words[from/64] >> (from % 64); free != 0 && from+uint64(bits.TrailingZeros64(free)) < s.size {
			return from + uint64(bits.TrailingZeros64(free))
		}
		if from = (from/64 + 1) * 64; from >= s.size {
			from = 0
		}
	}
}

func BenchmarkAllocate(b *testing.B) {
	r, err := NewAddrs(netip.MustParsePrefix("10.96.0.0/12"))
	if err != nil {
		b.Fatal(err)
	}
	addr := netip.MustParseAddr("10.100.1.2")
	if err := r.Allocate(netip.MustParseAddr("10.100.1.3")); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Allocate(addr); err != nil {
			b.Fatal(err)
		}
		r.Release(addr)
	}
}

// manyServices are dual-stack Services, each fourth with two NodePorts, as many
// as the range can hold.
func manyServices(count int) []corev1.Service {
	services := make([]corev1.Service, count)
	v4, v6 := netip.MustParseAddr("10.96.1.1"), netip.MustParseAddr("fd00::1:1")
	for i := range services {
		services[i] = corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("service-%d", i), UID: types.UID(fmt.Sprint(i)), ResourceVersion: "1"},
			Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeClusterIP, ClusterIP: v4.String(), ClusterIPs: []string{v4.String(), v6.String()},
				Ports: []corev1.ServicePort{{Name: "a", Port: 80}, {Name: "b", Port: 81}},
			},
		}
		if nodePort := 30086 + i/2; i%4 == 0 && nodePort < 32767 {
			services[i].Spec.Type = corev1.ServiceTypeNodePort
			services[i].Spec.Ports[0].NodePort, services[i].Spec.Ports[1].NodePort = int32(nodePort), int32(nodePort+1)
		}
		v4, v6 = v4.Next(), v6.Next()
	}
	return services
}

func BenchmarkRebuild10000Services(b *testing.B) {
	services := manyServices(10000)
	b.ReportAllocs()
	for b.Loop() {
		newIndex(b, "10.96.0.0/12", "fd00::/108").Rebuild(services)
	}
}

// poolsOfTeams are as many pools as there are teams, and one that is for all.
func poolsOfTeams(index *Services, teams int) {
	var ports []PortPool
	var addrs []AddrPool
	for i := range teams {
		team := fmt.Sprint(i)
		first := int32(30100 + 20*i)
		ports = append(ports, portPool("team-"+team, team, 0, 1, PortSpan{first, first + 4}, PortSpan{first + 10, first + 14}))
		addrs = append(addrs, addrPool("team-"+team, team, v1alpha1.UseClusterIP, fmt.Sprintf("10.97.%d.0/25", i), fmt.Sprintf("10.98.%d.128/25", i)))
	}
	index.SetPools(ports, addrs)
}

func BenchmarkSetPoolsOf100Teams(b *testing.B) {
	index := newIndex(b, "10.96.0.0/12", "fd00::/108")
	b.ReportAllocs()
	for b.Loop() {
		poolsOfTeams(index, 100)
	}
}

// BenchmarkSetPools of pools with two ranges each, of which each third overlaps
// with the next. Ten times as many pools take ten times as long.
func BenchmarkSetPools(b *testing.B) {
	for _, count := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			index := newIndex(b, "10.96.0.0/12", "fd00::/108")
			var addrs []AddrPool
			for i := range count {
				first := netip.AddrFrom4([4]byte{10, byte(96 + i>>12), byte(i >> 4), byte(i << 4)})
				last := netip.AddrFrom4([4]byte{10, byte(96 + i>>12), byte(i >> 4), byte(i<<4) | 15})
				if i%3 == 0 {
					last = last.Next().Next()
				}
				pool := addrPool(fmt.Sprint(i), fmt.Sprint(i), v1alpha1.UseClusterIP)
				pool.Ranges = []AddrSpan{{first, first.Next()}, {last, last.Next()}}
				addrs = append(addrs, pool)
			}
			b.ReportAllocs()
			for b.Loop() {
				index.SetPools(nil, addrs)
			}
		})
	}
}

// BenchmarkPlanInPoolsAmong10000Services is BenchmarkPlanAmong10000Services for one of 100 teams
// that have pools, among 1000 reservations.
func BenchmarkPlanInPoolsAmong10000Services(b *testing.B) {
	index := newIndex(b, "10.96.0.0/12", "fd00::/108")
	index.Rebuild(manyServices(10000))
	poolsOfTeams(index, 100)
	taken := index.holders[PortNumber(32082)][0] // as all ports are
	index.Forget(taken.Service, taken.UID)
	for i := range 1000 {
		index.Reserve(reservedPort(int32(1+i), types.NamespacedName{Namespace: "default", Name: fmt.Sprint(i)}))
	}
	fresh := svc(nodePort, port("a", 80, 0))
	b.ReportAllocs()
	for b.Loop() {
		plan := index.Plan(PlanRequest{New: fresh, Mode: Advisory, DryRun: true, NamespaceLabels: teamLabels("99")})
		if len(plan.Assignments) != 2 {
			b.Fatalf("%+v", plan)
		}
	}
}

func BenchmarkPlanAmong10000Services(b *testing.B) {
	index := newIndex(b, "10.96.0.0/12", "fd00::/108")
	index.Rebuild(manyServices(10000))
	fresh := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "fresh"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Name: "a", Port: 80, Protocol: "TCP"}}},
	}
	b.ReportAllocs()
	for b.Loop() {
		plan := index.Plan(PlanRequest{New: fresh, Mode: Authoritative, DryRun: true})
		if len(plan.Assignments) != 2 {
			b.Fatalf("%+v", plan)
		}
	}
}
