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

import "net/netip"

// address is a netip.Addr without the pointer that one has for zones: smaller,
// and nothing for the garbage collector to follow.
type address [16]byte

func pack(a netip.Addr) address { return address(a.As16()) }

func (a address) unpack() netip.Addr { return netip.AddrFrom16(a).Unmap() }
