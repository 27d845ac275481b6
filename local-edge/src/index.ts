/** What tests, benches and the documentation tools use of the local edge. */
export { LocalEdge } from './runtime.ts';
export type { LocalEdgeOptions } from './runtime.ts';
export type { HubFacts } from './hub-facts.ts';
export { EdgeError } from './errors.ts';
export type { EdgeErrorCode } from './errors.ts';
export { findProgram, findServer } from './services/find-server.ts';
export type { FoundAddress, FoundProgram, FoundServer } from './services/find-server.ts';
export { expandTemplate } from './manifest/expand-template.ts';
export type { Expansion, TemplateInput } from './manifest/expand-template.ts';
export type { ModuleSource } from './manifest/template-sources.ts';
export { readTemplate } from './manifest/read-template.ts';
export { describeFindings } from './manifest/finding.ts';
export type { Finding } from './manifest/finding.ts';
export { validateManifest } from './manifest/validate-manifest.ts';
export { preloadUrl } from './net/net-table.ts';
