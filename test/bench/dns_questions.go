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
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/miekg/dns"

	"switchyard.dev/switchyard/internal/discovery"
)

// headerBytes is how long the header of a DNS packet is.
const headerBytes = 12

// question is a query, and what its answer has.
type question struct {
	packet  []byte
	rcode   byte
	answers uint16
}

// questionCount is how many there are; each is asked several times in a run.
const questionCount = 1 << 16

// right looks at the header alone: the whole answer is what test/discovery is for.
func (q question) right(answer []byte) bool {
	return answer[3]&0xf == q.rcode && binary.BigEndian.Uint16(answer[6:]) == q.answers
}

func askFor(name string, kind uint16, rcode byte, answers uint16) question {
	packet, err := new(dns.Msg).SetQuestion(name, kind).Pack()
	if err != nil {
		panic(err) // a name of ours
	}
	return question{packet, rcode, answers}
}

// headlessEach is how many Services have one that is headless among them.
const headlessEach = 10

// isHeadless is false for odd numbers.
func isHeadless(service int) bool { return service%headlessEach == 0 }

func dnsNameOf(service int) string {
	return serviceName(service) + "." + namespace + ".svc.cluster.local."
}

// hostOf is the name of one endpoint of a headless Service.
func hostOf(service, endpoint int) string {
	return fmt.Sprintf("%s-%d", serviceName(service), endpoint)
}

// firstQuestions are about what was listed first and last.
func firstQuestions(services int) []question {
	last := services - 1
	return []question{
		aboutService(last, dns.TypeA), aboutService(0, dns.TypeA), aboutService(last-last%headlessEach, dns.TypeA),
		askFor(discovery.ReverseName(clusterIP(last|1)), dns.TypePTR, dns.RcodeSuccess, 1),
	}
}

// aboutService asks for its addresses, of which there are none of IPv6.
func aboutService(service int, kind uint16) question {
	switch {
	case kind == dns.TypeAAAA:
		return askFor(dnsNameOf(service), kind, dns.RcodeSuccess, 0)
	case isHeadless(service):
		return askFor(dnsNameOf(service), kind, dns.RcodeSuccess, dnsEndpoints)
	}
	return askFor(dnsNameOf(service), kind, dns.RcodeSuccess, 1)
}

// questionsOf are what pods ask for: most of the time a Service's addresses, both
// kinds, after names that the search path makes and that do not exist; four of
// five questions are about a tenth of the Services.
func questionsOf(services int) []question {
	random := rand.New(rand.NewPCG(1, 2))
	var all []question
	for len(all) < questionCount {
		service := random.IntN(services)
		if random.IntN(5) > 0 {
			service %= max(headlessEach, services/10)
		}
		switch dice := random.IntN(100); {
		case dice < 35:
			all = append(all, aboutService(service, dns.TypeA))
		case dice < 65:
			all = append(all, aboutService(service, dns.TypeAAAA))
		case dice < 85:
			all = append(all, askFor(dnsNameOf(service)+namespace+".svc.cluster.local.", dns.TypeA, dns.RcodeNameError, 0))
		case dice < 90:
			service -= service % headlessEach
			all = append(all, askFor(hostOf(service, random.IntN(dnsEndpoints))+"."+dnsNameOf(service), dns.TypeA, dns.RcodeSuccess, 1))
		case dice < 95:
			all = append(all, askFor("_"+portName+"._tcp."+dnsNameOf(service|1), dns.TypeSRV, dns.RcodeSuccess, 1))
		default:
			all = append(all, askFor(discovery.ReverseName(clusterIP(service|1)), dns.TypePTR, dns.RcodeSuccess, 1))
		}
	}
	return all
}
