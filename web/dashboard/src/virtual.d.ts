// SPDX-License-Identifier: GPL-2.0-or-later
// made by build.mjs from world-atlas
declare module 'virtual:world' { const world: unknown; export default world }
declare module 'virtual:places' { const places: Record<string, number[]>; export default places }
declare module '*.css';
