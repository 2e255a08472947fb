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

package resolve

import (
	"strings"

	"github.com/miekg/dns"
)

// Answer is what one name was answered with.
type Answer struct {
	Name string `json:"name"`
	// Code is NOERROR, NXDOMAIN, SERVFAIL and so on, or NODATA for a name that
	// exists and has no such record.
	Code    string   `json:"code"`
	Server  string   `json:"server"`
	Network string   `json:"network"`
	Records []Record `json:"records,omitempty"`
	// DeniedFor is how many seconds a cache may keep that there is no record.
	DeniedFor uint32 `json:"deniedFor,omitempty"`
}

// Record is a line of a zone file.
type Record struct {
	Name string `json:"name"`
	TTL  uint32 `json:"ttl"`
	Type string `json:"type"`
	Data string `json:"data"`
}

// NoData is the Code of a name that exists, but not with this type.
const NoData = "NODATA"

// Found says that there are records.
func (a Answer) Found() bool { return len(a.Records) > 0 }

// deniedFor is the lesser of the SOA's TTL and minimum (RFC 2308, 3).
func deniedFor(reply *dns.Msg) uint32 {
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(soa.Minttl, soa.Hdr.Ttl)
		}
	}
	return 0
}

func record(rr dns.RR) Record {
	header := rr.Header()
	data := strings.TrimPrefix(rr.String(), header.String())
	return Record{Name: header.Name, TTL: header.Ttl, Type: dns.TypeToString[header.Rrtype], Data: data}
}
