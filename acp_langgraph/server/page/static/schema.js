// JSON Schemas, as far as a form and a sentence need to understand them.

const DEEPEST = 12;

/**
 * A schema with its references followed and what may also be null taken apart.
 * @returns {{schema: any, nullable: boolean, name: string}} name: of the definition that it is
 */
export function resolved(schema, root) {
  let found = schema && typeof schema === 'object' ? schema : {};
  let nullable = false;
  let name = '';
  for (let step = 0; step < DEEPEST; step += 1) {
    const { $ref, allOf, anyOf, oneOf, ...rest } = found;
    const several = anyOf ?? oneOf;
    if (typeof $ref === 'string' && $ref.startsWith('#/')) {
      name = $ref.split('/').pop();
      found = { ...lookedUp($ref, root), ...rest };
    } else if (Array.isArray(allOf) && allOf.length === 1) {
      found = { ...allOf[0], ...rest };
    } else if (Array.isArray(several) && several.some(isNull)) {
      nullable = true;
      const left = several.filter((each) => !isNull(each));
      found = left.length === 1 ? { ...left[0], ...rest } : { ...rest, anyOf: left };
    } else if (Array.isArray(found.type) && found.type.includes('null')) {
      nullable = true;
      const left = found.type.filter((each) => each !== 'null');
      found = { ...found, type: left.length === 1 ? left[0] : left };
    } else break;
  }
  return { schema: found, nullable, name };
}

function isNull(schema) {
  return schema?.type === 'null' || schema?.const === null;
}

function lookedUp(ref, root) {
  let found = root;
  for (const part of ref.slice(2).split('/')) {
    const word = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    found = Object.hasOwn(Object(found), word) ? found[word] : undefined;
  }
  return found && typeof found === 'object' ? found : {};
}

const DATES = { date: 'date', time: 'time', 'date-time': 'datetime-local' };
const FILES = new Set(['binary', 'byte', 'base64', 'base64url']);

/** Which control fits a resolved schema. */
export function kindOf(schema, root) {
  const forms = schema.anyOf ?? schema.oneOf;
  if ('const' in schema) return 'constant';
  if (Array.isArray(schema.enum)) return 'choice';
  if (Array.isArray(forms) && forms.length) return 'union';
  switch (schema.type) {
    case 'string':
      if (schema.contentEncoding === 'base64' || FILES.has(schema.format)) return 'file';
      return DATES[schema.format] ?? 'text';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array':
      if (schema.prefixItems || !schema.items || typeof schema.items !== 'object') return 'json';
      return areMessages(schema, root) ? 'messages' : 'list';
    case 'object':
      return Object.keys(schema.properties ?? {}).length ? 'object' : 'json';
    default:
      return schema.properties ? 'object' : 'json';
  }
}

/** Whether a list is one of LangChain's chat messages. */
function areMessages(schema, root) {
  const forms = schema.items.anyOf ?? schema.items.oneOf ?? [];
  return Boolean(root?.$defs?.HumanMessage) && forms.some((each) => each.$ref === '#/$defs/HumanMessage');
}

const TYPES = { string: 'text', integer: 'whole number', boolean: 'yes or no', object: 'object' };

/** What a schema takes, in a few words. */
export function inWords(given, root, depth = 0) {
  const { schema, nullable, name } = resolved(given, root);
  const also = nullable ? ', or nothing' : '';
  switch (kindOf(schema, root)) {
    case 'constant':
      return `${JSON.stringify(schema.const)}${also}`;
    case 'choice':
      return `one of ${schema.enum.slice(0, 8).map(String).join(', ')}${also}`;
    case 'union': {
      const forms = (schema.anyOf ?? schema.oneOf).slice(0, 5);
      const words = depth > 2 ? ['…'] : forms.map((each) => inWords(each, root, depth + 1));
      return [...new Set(words)].join(' or ') + also;
    }
    case 'messages':
      return `chat messages${also}`;
    case 'file':
      return `file, as base64${also}`;
    case 'list':
      return `list of ${depth > 2 ? '…' : inWords(schema.items, root, depth + 1)}${also}`;
    default:
      return (schema.format ?? (name || TYPES[schema.type] || schema.type || 'anything')) + also;
  }
}
