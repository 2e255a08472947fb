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

package discovery

import "fmt"

// Type is the type of a record.
type Type string

// The types of records that Services have.
const (
	A     Type = "A"
	AAAA  Type = "AAAA"
	SRV   Type = "SRV"
	PTR   Type = "PTR"
	CNAME Type = "CNAME"
	TXT   Type = "TXT"
)

// Record is one DNS record, in the words of a zone file.
type Record struct {
	// Name is the owner, fully qualified.
	Name string `json:"name"`
	// TTL is in seconds.
	TTL  uint32 `json:"ttl"`
	Type Type   `json:"type"`
	Data string `json:"data"`
}

func (r Record) String() string { return fmt.Sprintf("%s %d IN %s %s", r.Name, r.TTL, r.Type, r.Data) }
