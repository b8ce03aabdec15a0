import { hash } from 'node:crypto'
import { Type } from '../platform/schema.ts'
import type { ApiServices } from './services.ts'

export const Avatar = Type.Object(
  {
    name: Type.String(),
    hash: Type.String(),
    color: Type.String(),
    kind: Type.Union([
      Type.Literal('user'),
      Type.Literal('robot'),
      Type.Literal('org'),
      Type.Literal('team'),
      Type.Literal('app'),
    ]),
  },
  { $id: 'Avatar' },
)

export type AvatarKind = 'user' | 'robot' | 'org' | 'team' | 'app'

/** Colours that white letters stand out on. */
const COLORS = [
  ...['#1f77b4', '#2a6f97', '#2c7da0', '#23628f', '#3d5a80', '#2ca02c', '#2d6a4f', '#40714f', '#52796f', '#386641'],
  ...['#d62728', '#9d0208', '#a4243b', '#b5482a', '#bc4749', '#9467bd', '#6a4c93', '#7251b5', '#5a189a', '#8c564b'],
  ...['#7f5539', '#6c584c', '#17758a', '#0b7285', '#6b705c', '#5c677d'],
] as const

/** What clients draw an avatar from: no picture is served. The hash is of the e-mail address, of the name without one. */
export function avatarOf(
  { config }: ApiServices,
  kind: AvatarKind,
  name: string,
  email?: string | null,
): { name: string; hash: string; color: string; kind: AvatarKind } {
  const text = (email || name).trim().toLowerCase()
  const digest = hash(config.api.avatarKind === 'gravatar' ? 'md5' : 'sha256', text)
  return {
    name,
    hash: digest,
    color: COLORS[Number.parseInt(digest.slice(0, 6), 16) % COLORS.length] ?? COLORS[0],
    kind,
  }
}
