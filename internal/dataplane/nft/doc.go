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

// Package nft keeps the node's nftables table in one IP family as package
// ruleset plans it, over netlink, without the nft program. The agent calls it.
//
// It lists, compares and writes; it decides nothing. Applying twice is a
// no-op, also by another process: what the kernel holds is adopted, and
// traffic does not notice. It never touches any table but `ip switchyard`,
// `ip6 switchyard` and, while one of them is replaced, its stand-in; a
// transaction that fails leaves the tables as they were.
//
// Each rule is written in the bytes that nft itself would write for its text,
// so the stock nft lists the table readably and loads that list again.
package nft
