/** What must hold after every order, and how two ends are compared. Queries on PostgreSQL. */

/**
 * Each row is a broken rule. The rules about leases and states are what makes garbage collectable in the end: whatever
 * nothing holds is in a queue of the collector.
 */
export const brokenRulesSql = `
  select 'a blob that is not live has a link' as rule
    from blob b join repository_blob l on l.blob_id = b.id where b.state <> 'live'
  union all
  select 'a linked blob has no copy' from repository_blob l
   where not exists (select 1 from blob_copy c where c.blob_id = l.blob_id and c.state = 'present')
  union all
  select 'a live blob has no link, and nobody will look at it' from blob b
   where b.state = 'live' and not exists (select 1 from repository_blob l where l.blob_id = b.id)
  union all
  select 'a blob of state ' || state || ' does not say since when' from blob where state <> 'live' and condemned_ms is null
  union all
  select 'a link without edge has no lease, and nobody will look at it' from repository_blob l
   where l.leased_until_ms is null
     and not exists (select 1 from manifest_edge e where e.repository_id = l.repository_id and e.blob_id = l.blob_id)
  union all
  select 'nothing holds a manifest, and nobody will look at it' from manifest m
   where m.leased_until_ms is null
     and not exists (select 1 from tag t where t.manifest_id = m.id)
     and not exists (select 1 from manifest_edge e where e.child_id = m.id)
     and not exists (select 1 from manifest s
                      where s.repository_id = m.repository_id and s.digest = m.subject_digest and m.deleted_ms is null)
  union all
  select 'a manifest has lost edges' from manifest m
   where (select count(*) from manifest_edge e where e.manifest_id = m.id)
         <> case when convert_from(m.content, 'utf8')::jsonb ? 'manifests'
                 then jsonb_array_length(convert_from(m.content, 'utf8')::jsonb -> 'manifests')
                 else 1 + jsonb_array_length(convert_from(m.content, 'utf8')::jsonb -> 'layers') end
  union all
  select 'the edge of a manifest to a blob holds nothing' from manifest_edge e
   where e.role <> 'child' and e.blob_id is null
  union all
  select 'an index does not hold a child that is there' from manifest_edge e
    join manifest c on c.repository_id = e.repository_id and c.digest = e.digest
   where e.role = 'child' and e.child_id is null
  union all
  select 'the open tag ' || t.name || ' names a manifest that is not served' from tag t join manifest m on m.id = t.manifest_id
   where t.end_ms is null and m.deleted_ms is not null
  union all
  select 'a served index holds a child that is not served' from manifest_edge e
    join manifest p on p.id = e.manifest_id join manifest c on c.id = e.child_id
   where p.deleted_ms is null and c.deleted_ms is not null
  union all
  select 'tag ' || name || ' has two open intervals' from tag where end_ms is null group by repository_id, name having count(*) > 1
  union all
  select 'the intervals of tag ' || name || ' overlap'
    from (select name, start_ms, lag(coalesce(end_ms, 9e15)) over (partition by repository_id, name order by id) as before_ms
            from tag) t
   where before_ms > start_ms`

/** Rows by what they mean, without ids: all that the rules look at. */
export const stateSql = `
  select jsonb_pretty(jsonb_build_object(
    'blobs', (select jsonb_agg(line order by line::text) from (
      select jsonb_build_array(b.digest, b.state, b.condemned_ms,
               (select jsonb_agg(c.key || ' ' || c.state order by c.key) from blob_copy c where c.blob_id = b.id),
               (select jsonb_agg(jsonb_build_array(l.repository_id, l.leased_until_ms) order by l.repository_id)
                  from repository_blob l where l.blob_id = b.id)) as line
        from blob b) x),
    'manifests', (select jsonb_agg(line order by line::text) from (
      select jsonb_build_array(m.repository_id, m.digest, m.deleted_ms, m.leased_until_ms,
               (select jsonb_agg(jsonb_build_array(e.digest, e.blob_id is not null, e.child_id is not null) order by e.position)
                  from manifest_edge e where e.manifest_id = m.id)) as line
        from manifest m) x),
    'tags', (select jsonb_agg(jsonb_build_array(t.repository_id, t.name, m.digest, t.start_ms, t.expires_ms, t.end_ms)
                              order by t.repository_id, t.name, t.id)
               from tag t join manifest m on m.id = t.manifest_id),
    'uploads', (select jsonb_agg(jsonb_build_array(id, state, residue) order by id) from upload),
    'audit', (select jsonb_agg(line order by line) from (select kind || ' ' || metadata as line from audit_entry) x)
  ))::text as state`
